"""The four markets as the demo and the founding of networks know them: one interface, one implementation each."""
