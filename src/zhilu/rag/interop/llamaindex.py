"""LlamaIndex: a knowledge base as a retriever and as a vector store. Needs ``llama-index-core``
(``pip install 'zhilu[llamaindex]'``).

    from zhilu.rag.interop.llamaindex import ZhiluRetriever, ZhiluVectorStore

    ZhiluRetriever("handbook", similarity_top_k=4).retrieve("How long is the warranty?")

    store = ZhiluVectorStore(knowledge_base="notes")
    index = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(embed_dim=1))
    index.insert(Document(text="The gate code is 4711."))

The knowledge base embeds with its own model, so that LlamaIndex's needs to be none: ``MockEmbedding`` costs nothing. Both ask a
running workbench over HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
from pydantic import PrivateAttr

from zhilu.rag.interop.workbench import Workbench

__all__ = ["ZhiluRetriever", "ZhiluVectorStore"]

_URL = "http://127.0.0.1:8642"
_OPERATORS: Mapping[FilterOperator, str] = {
    FilterOperator.EQ: "eq", FilterOperator.NE: "ne", FilterOperator.GT: "gt", FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt", FilterOperator.LTE: "lte", FilterOperator.IN: "in", FilterOperator.NIN: "nin",
}  # fmt: skip
_WEIGHTS: Mapping[VectorStoreQueryMode, float | None] = {
    VectorStoreQueryMode.DEFAULT: None, VectorStoreQueryMode.HYBRID: None, VectorStoreQueryMode.TEXT_SEARCH: 0.0,
    VectorStoreQueryMode.SPARSE: 0.0,
}  # fmt: skip


class ZhiluRetriever(BaseRetriever):
    """The passages of a knowledge base that fit a question best.

    Raises (when asked):
        httpx.HTTPStatusError: the workbench refuses, with its words in the message. httpx.ConnectError: none runs there.
    """

    def __init__(
        self,
        knowledge_base: str,
        similarity_top_k: int = 4,
        *,
        base_url: str = _URL,
        api_key: str | None = None,
        timeout: float = 60.0,
        **kwargs: Any,
    ) -> None:
        self._workbench = Workbench(knowledge_base, base_url, api_key, timeout)
        self._k = similarity_top_k
        super().__init__(**kwargs)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._workbench.search(query_bundle.query_str, self._k)
        return [NodeWithScore(node=_node(text), score=text["score"]) for text in found]


class ZhiluVectorStore(BasePydanticVectorStore):
    """A knowledge base as a vector store: each node is a document of it, found by its passages and given back whole.

    Attributes:
        knowledge_base: its name or id; made where there is none of this name.

    Raises:
        httpx.HTTPStatusError, httpx.ConnectError: as ``ZhiluRetriever``.
    """

    stores_text: bool = True
    is_embedding_query: bool = False
    knowledge_base: str
    base_url: str = _URL
    _workbench: Workbench = PrivateAttr()

    def __init__(
        self, knowledge_base: str, *, base_url: str = _URL, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        super().__init__(knowledge_base=knowledge_base, base_url=base_url, stores_text=True, is_embedding_query=False)
        self._workbench = Workbench(knowledge_base, base_url, api_key, timeout)
        self._workbench.ensure()

    @classmethod
    def class_name(cls) -> str:
        return "ZhiluVectorStore"

    @property
    def client(self) -> Any:
        return self._workbench

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, or replace those whose id is there; returns when they can be found."""
        self._workbench.put(
            [
                {
                    "id": node.node_id, "text": node.get_content(metadata_mode=MetadataMode.NONE),
                    "metadata": node_to_metadata_dict(node, remove_text=True),
                }
                for node in nodes
            ]
        )  # fmt: skip
        return [node.node_id for node in nodes]

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        if node_ids is None or filters is not None:
            # what LlamaIndex's own base class raises: its callers know it. A list by metadata is no route of the gateway.
            raise NotImplementedError("nodes are given by their ids: get_nodes(node_ids=[…])")
        return [_node(text) for text in self._workbench.get(node_ids)]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes that were made of a document."""
        self._workbench.remove_where({"type": "eq", "key": "ref_doc_id", "value": ref_doc_id})

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        if node_ids is not None:
            self._workbench.remove(node_ids)
        if filters is not None:
            self._workbench.remove_where(_filters(filters))

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """
        Raises:
            ValueError: a mode or filter that there is not here, or no words: a knowledge base has vectors of its own.
        """
        if not query.query_str:
            raise ValueError("a knowledge base is asked in words (query_str): it has vectors of its own")
        if query.mode not in _WEIGHTS:
            raise ValueError(
                f"query mode {query.mode.value!r} is not supported; {', '.join(m.value for m in _WEIGHTS)} are"
            )
        weight = query.alpha if query.mode is VectorStoreQueryMode.HYBRID else _WEIGHTS[query.mode]
        wanted = [_filters(query.filters)] if query.filters is not None and query.filters.filters else []
        if query.doc_ids:
            wanted.append({"type": "in", "key": "ref_doc_id", "value": list(query.doc_ids)})
        filters = {"type": "and", "filters": wanted} if wanted else None
        k = (query.hybrid_top_k if query.mode is VectorStoreQueryMode.HYBRID else None) or query.similarity_top_k
        found = self._workbench.search(query.query_str, k, filters, weight)
        if query.node_ids:
            found = [text for text in found if text["id"] in query.node_ids]
        nodes = [_node(text) for text in found]
        return VectorStoreQueryResult(
            nodes=nodes, similarities=[text["score"] for text in found], ids=[node.node_id for node in nodes]
        )


def _node(text: Mapping[str, Any]) -> BaseNode:
    metadata = dict(text["metadata"])
    if "_node_content" in metadata:
        return metadata_dict_to_node(metadata, text=text["text"])
    return TextNode(id_=text["id"], text=text["text"], metadata=metadata)


def _filters(wanted: MetadataFilters) -> dict[str, Any]:
    condition = wanted.condition or FilterCondition.AND
    if condition not in (FilterCondition.AND, FilterCondition.OR):
        raise ValueError(f"filters joined by {condition.value!r} are not supported; 'and' and 'or' are")
    return {
        "type": condition.value,
        "filters": [_filters(f) if isinstance(f, MetadataFilters) else _comparison(f) for f in wanted.filters],
    }


def _comparison(wanted: MetadataFilter) -> dict[str, Any]:
    if wanted.operator not in _OPERATORS:
        known = ", ".join(operator.value for operator in _OPERATORS)
        raise ValueError(f"the filter {wanted.operator.value!r} is not supported; {known} are")
    return {"type": _OPERATORS[wanted.operator], "key": wanted.key, "value": wanted.value}
