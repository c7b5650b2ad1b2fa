"""Tables of a document: where they stand (``found``), what a question may mean by them (``readings``), which it means (``choose``)."""
