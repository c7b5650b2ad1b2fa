"""LlamaIndex's own index and retriever over a knowledge base of a workbench that runs.

llama-index-core is 65 MB with what it asks for, so it is no part of the extra ``dev``: ``pip install 'zhilu[llamaindex]'``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("llama_index.core", reason="llama-index-core is not installed here", exc_type=ImportError)

import httpx
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from zhilu.rag.interop.llamaindex import ZhiluRetriever, ZhiluVectorStore
from zhilu.rag.kb import KnowledgeBase


@pytest.fixture
def store(workbench: str) -> ZhiluVectorStore:
    return ZhiluVectorStore("notes", base_url=workbench)


def node(id: str, text: str, document: str, **metadata: int | str) -> TextNode:
    from_document = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)}
    return TextNode(id_=id, text=text, metadata=metadata, relationships=from_document)


def test_an_index_over_a_knowledge_base(store: ZhiluVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(embed_dim=1))
    for text, year in (("The gate code is 4711.", 2024), ("The pool opens at seven.", 2025)):
        index.insert(Document(text=text, metadata={"year": year}, id_=f"doc {year}"))
    best = index.as_retriever(similarity_top_k=1).retrieve("gate code")[0]
    assert best.node.get_content(metadata_mode=MetadataMode.NONE) == "The gate code is 4711."
    assert best.node.metadata == {"year": 2024} and best.node.ref_doc_id == "doc 2024" and best.score
    newer = MetadataFilters(filters=[MetadataFilter(key="year", value=2024, operator=FilterOperator.GT)])
    found = index.as_retriever(similarity_top_k=2, filters=newer).retrieve("gate code")
    assert [f.node.ref_doc_id for f in found] == ["doc 2025"]
    index.delete_ref_doc("doc 2024")
    assert [f.node.ref_doc_id for f in index.as_retriever().retrieve("gate code")] == ["doc 2025"]


def test_nodes_are_replaced_given_back_and_deleted(store: ZhiluVectorStore) -> None:
    a, b, c = (
        node("a", "Tea is green.", "d1", n=1),
        node("b", "Coffee is brown.", "d1", n=2),
        node("c", "Milk is white.", "d2", n=3),
    )
    assert store.add([a, b, c]) == ["a", "b", "c"]
    assert store.get_nodes(["b", "nothing"]) == [b]
    store.add([node("a", "Tea is black.", "d1", n=1)])
    assert store.get_nodes(["a"])[0].get_content() == "Tea is black."
    words = VectorStoreQuery(query_str="tea", similarity_top_k=3, mode=VectorStoreQueryMode.TEXT_SEARCH)
    assert store.query(words).ids == ["a"]
    one_document = VectorStoreQuery(query_str="what is white?", similarity_top_k=3, doc_ids=["d1"])
    assert set(store.query(one_document).ids or ()) == {"a", "b"}
    store.delete_nodes(["c"])
    store.delete("d1")
    assert store.query(VectorStoreQuery(query_str="tea", similarity_top_k=3)).ids == []


def test_what_there_is_not_is_refused(store: ZhiluVectorStore, workbench: str) -> None:
    with pytest.raises(ValueError, match="mmr"):
        store.query(VectorStoreQuery(query_str="x", mode=VectorStoreQueryMode.MMR))
    with pytest.raises(ValueError, match="query_str"):
        store.query(VectorStoreQuery(query_embedding=[1.0]))
    contains = MetadataFilters(filters=[MetadataFilter(key="a", value="b", operator=FilterOperator.CONTAINS)])
    with pytest.raises(ValueError, match="contains"):
        store.query(VectorStoreQuery(query_str="x", filters=contains))
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        ZhiluRetriever("nothing", base_url=workbench).retrieve("x")


def test_a_retriever_over_documents_of_the_page(workbench: str, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"guide.md": "# Pool\n\nA locker needs a coin of one euro.\n"})
    found = ZhiluRetriever(kb.id, 1, base_url=workbench).retrieve("coin for a locker")
    assert found[0].node.metadata["source"] == "guide.md" and "one euro" in found[0].node.get_content()
