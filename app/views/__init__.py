"""From the core's values to what is shown: HTML, figures, words and files; without Gradio."""
