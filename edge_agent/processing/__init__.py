"""Pure functions over readings; imports the vocabulary only."""
