"""OpenAI's files and vector stores on top of knowledge bases (``/v1/files``, ``/v1/vector_stores``), and file search for the
Responses API.

A vector store is a knowledge base (``vs_<id>``; its name does as well), a file in it is a document. What has no counterpart here
is refused by name. Source: OpenAI's API reference, "Files" and "Vector stores".
"""
