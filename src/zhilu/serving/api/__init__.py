"""The other APIs of the gateway beside OpenAI's: Ollama's, vLLM's own, embeddings and reranking."""
