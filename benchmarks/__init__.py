"""Commands that measure, and print or write what they measured."""
