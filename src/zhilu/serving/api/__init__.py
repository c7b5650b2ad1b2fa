"""The gateway's other APIs: Ollama's, vLLM's own, and the services for embeddings and reranking."""
