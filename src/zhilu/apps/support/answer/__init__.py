"""One turn of a customer: what is meant (``intents``, ``slots``), who answers it (``faq``, ``orders``, documents), and in which words."""
