"""Completions where the cursor is: ``boundary`` where one ends · ``near`` the code of the repository that it may need ·
``complete`` asking the model · ``requests`` the two forms in which editors ask."""
