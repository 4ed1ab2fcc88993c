"""From authors' functions to one compiled step: lowering, the generated module, its cache, the state."""
