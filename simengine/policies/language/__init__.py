"""Language models as policies: prompts, elicitation, backends, and everything that stands around a call."""
