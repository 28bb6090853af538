"""An answer as an object for machines: what ``attribute --json`` and the API give."""

from __future__ import annotations

from core.values import Answer


def answer_object(query: str, answer: Answer) -> dict[str, object]:
    """An answer as the JSON object of ``attribute --json``; docs/cli.md has its schema."""
    return {
        "query": query,
        "answer": answer.sentence,
        "matches": [
            {
                "id": match.image.id,
                "path": match.image.path,
                "score": match.score,
                "cosine": match.cosine,
                "group": match.group,
            }
            for match in answer.matches
        ],
        "groups": [
            {
                "id": group.id,
                "members": list(group.members),
                "best": group.best.image.id,
                "p_value": group.p_value,
                "confidence": group.confidence,
                "influence": group.influence,
            }
            for group in answer.groups
        ],
        "none": answer.none,
        "p_value": answer.p_value,
        "null": answer.null_id,
        "encoder": answer.encoder,
        "head": answer.head,
        "gallery": answer.gallery,
    }
