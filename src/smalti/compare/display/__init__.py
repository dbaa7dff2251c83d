"""How a comparison is told: in sentences on a terminal, in short Markdown, as a page with pictures."""
