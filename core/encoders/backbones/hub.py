"""Files of the Hugging Face hub: their address, and the copies that its own cache holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_url, try_to_load_from_cache


@dataclass(frozen=True)
class HubFile:
    """One file of one revision."""

    repo: str
    revision: str
    """Commit, so that the file can never change under its name."""
    name: str = "model.safetensors"

    @property
    def url(self) -> str:
        """Address at the hub, or at the mirror that ``HF_ENDPOINT`` names."""
        return hf_hub_url(self.repo, self.name, revision=self.revision)

    def cached(self) -> Path | None:
        """The copy in the hub's own cache, of this revision or else of its main branch."""
        for revision in (self.revision, "main"):
            found = try_to_load_from_cache(self.repo, self.name, revision=revision)
            if isinstance(found, str):
                return Path(found)
        return None
