"""Models on this machine: the store, what is inside them, pulling them, embedders, and the one we ship (``nano``).

File map: ``store`` folders under the home · ``check`` may this folder be a model · ``inspect`` what is in it ·
``tensors`` safetensors and ``gguf_header`` GGUF, without a framework · ``catalog`` models by name, as data ·
``sources`` where they are pulled from · ``pull`` the job · ``offers`` the catalogue on this machine, and what Ollama and
LM Studio have · ``embedders`` text to vectors.
"""

from zhilu.models.adapters import AdapterInfo, list_adapters
from zhilu.models.store import EMBEDDED, ModelInfo, ModelStore

__all__ = ["EMBEDDED", "AdapterInfo", "ModelInfo", "ModelStore", "list_adapters"]
