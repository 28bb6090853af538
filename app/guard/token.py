"""The owner's token of the Hugging Face Hub: a hosted server sends it for no visitor."""

from __future__ import annotations

from huggingface_hub import constants


def keep_token() -> None:
    """Have the Hub's clients in this process send no token but one that they are given.

    Else each of them sends the owner's, as that does which Gradio calls a tool with.
    """
    constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True
