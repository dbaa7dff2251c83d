"""How values show themselves in a notebook: a tree with shapes and small pictures, as HTML."""
