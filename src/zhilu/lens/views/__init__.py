"""One module a view: what it is asked, what it shows, and how a prediction about it is judged."""
