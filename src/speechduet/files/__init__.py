"""Files of any kind: text that users give, and results that appear only when complete."""
