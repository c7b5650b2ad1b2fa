"""What holds many documents: an archive, unpacked into the files that are added."""

from zhilu.rag.sources.archive import Member, members, members_or_why

__all__ = ["Member", "members", "members_or_why"]
