"""Models on this machine: the store, what is inside models, pulling them, embedders, and the weights that ship with the product.

File map: ``store`` folders in the home · ``check`` whether a folder can be a model · ``inspect`` what is in it · ``tensors``
safetensors and ``gguf_header`` GGUF, without a framework · ``catalog`` models by name, as data · ``sources`` where they are
pulled from · ``pull`` the job · ``offers`` the catalogue on this machine, and what Ollama and LM Studio have · ``apis`` models
behind APIs that a person added · ``chosen`` the model that answers by default ·
``embedders`` text to vectors · ``ocr`` text in images · ``shipped`` zhilu-nano and zhilu-embed.
"""

from zhilu.models.adapters import AdapterInfo, list_adapters
from zhilu.models.store import EMBEDDED, ModelInfo, ModelStore

__all__ = ["EMBEDDED", "AdapterInfo", "ModelInfo", "ModelStore", "list_adapters"]
