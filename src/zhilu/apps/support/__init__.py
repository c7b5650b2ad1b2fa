"""Customer service: canned answers, documents and an order table answer; a person takes over where they do not."""
