"""Models on this machine: the store, what is inside them, pulling them, embedders, and the one we ship (``nano``).

File map: ``store`` folders under the home · ``check`` may this folder be a model · ``inspect`` what is in it ·
``tensors`` safetensors without a framework · ``hubs`` and ``pull`` Hugging Face and ModelScope · ``embedders`` text to
vectors · ``nano`` the embedded model and its training.
"""

from zhilu.models.adapters import AdapterInfo, list_adapters
from zhilu.models.store import EMBEDDED, ModelInfo, ModelStore

__all__ = ["EMBEDDED", "AdapterInfo", "ModelInfo", "ModelStore", "list_adapters"]
