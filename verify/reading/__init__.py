"""What is printed, read: formulas, figures, worked-example files. Text becomes expressions and plain data."""
