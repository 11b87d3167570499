"""How much a unit is worth."""
