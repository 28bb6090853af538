"""The look of the app: one accent on quiet surfaces, light and dark, in the system's own fonts."""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base, sizes
from gradio.themes.utils.colors import Color

ASSETS = Path(__file__).parents[2] / "assets" / "app"

SCRIPTS = Path(__file__).parent
"""Folder of the scripts of single components; their style sheets lie beside them."""

STYLESHEETS = [*sorted(ASSETS.glob("*.css")), *sorted(SCRIPTS.glob("*.css"))]
"""What ``launch(css_paths=...)`` takes."""

_ACCENT = Color(
    name="wellspring",
    c50="#effaf8",
    c100="#d5f1ed",
    c200="#aee3dc",
    c300="#7bcec5",
    c400="#45b3a9",
    c500="#1b968d",
    c600="#0b7770",
    c700="#0c5f5b",
    c800="#0f4c4a",
    c900="#113f3e",
    c950="#042525",
)
_STONE = Color(
    name="stone",
    c50="#f6f8f7",
    c100="#edf1f0",
    c200="#dde4e2",
    c300="#c3cdca",
    c400="#94a3a0",
    c500="#64736f",
    c600="#4b5956",
    c700="#33403d",
    c800="#1d2826",
    c900="#141d1b",
    c950="#0d1413",
)
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")

_SURFACES = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "body_text_color": "*neutral_900",
    "body_text_color_dark": "*neutral_100",
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_400",
    "background_fill_primary": "#ffffff",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_50",
    "background_fill_secondary_dark": "*neutral_800",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "*neutral_700",
}
_BLOCKS = {
    "block_background_fill": "#ffffff",
    "block_background_fill_dark": "*neutral_900",
    "block_border_color_dark": "*neutral_800",
    "block_shadow": "0 1px 2px rgb(20 29 27 / 4%)",
    "block_shadow_dark": "none",
    "block_label_background_fill": "transparent",
    "block_label_background_fill_dark": "transparent",
    "block_label_border_width": "0px",
    "block_label_shadow": "none",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_400",
    "block_title_text_color": "*neutral_700",
    "block_title_text_color_dark": "*neutral_300",
    "block_title_text_weight": "500",
    "block_info_text_color": "*neutral_500",
    "block_info_text_color_dark": "*neutral_400",
    "section_header_text_weight": "600",
}
_CONTROLS = {
    "input_background_fill": "*neutral_50",
    "input_background_fill_dark": "*neutral_950",
    "input_border_color": "*neutral_300",
    "input_border_color_dark": "*neutral_700",
    "input_border_color_focus": "*primary_600",
    "input_border_color_focus_dark": "*primary_400",
    "checkbox_background_color_selected": "*primary_600",
    "checkbox_background_color_selected_dark": "*primary_600",
    "checkbox_border_color": "*neutral_400",
    "checkbox_border_color_dark": "*neutral_500",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_dark": "transparent",
    "checkbox_label_background_fill_hover": "*neutral_100",
    "checkbox_label_background_fill_hover_dark": "*neutral_800",
    "checkbox_label_background_fill_selected": "*primary_50",
    "checkbox_label_background_fill_selected_dark": "*primary_950",
    "checkbox_label_border_color": "*neutral_200",
    "checkbox_label_border_color_dark": "*neutral_700",
    "checkbox_label_border_color_selected": "*primary_600",
    "checkbox_label_border_color_selected_dark": "*primary_400",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_hover_dark": "*primary_700",
    "button_primary_text_color": "#ffffff",
    "button_primary_text_color_dark": "#ffffff",
    "link_text_color": "*primary_700",
    "link_text_color_dark": "*primary_300",
    "color_accent": "*primary_600",
    "loader_color": "*primary_600",
    "loader_color_dark": "*primary_400",
}


def theme() -> Base:
    """The theme that ``launch(theme=...)`` takes."""
    base = Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=_STONE,
        radius_size=sizes.radius_lg,
        spacing_size=sizes.spacing_md,
        font=_SANS,
        font_mono=_MONO,
    )
    base.name = "wellspring"
    return base.set(**_SURFACES, **_BLOCKS, **_CONTROLS)
