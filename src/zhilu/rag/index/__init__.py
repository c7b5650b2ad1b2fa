"""Documents in: the job ``ingest`` splits them, cuts them into words, embeds them and publishes them."""
