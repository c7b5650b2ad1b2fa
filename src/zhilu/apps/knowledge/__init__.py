"""The knowledge of an organisation: people ask what their groups may read, and nothing else is found, cited, counted or logged."""
