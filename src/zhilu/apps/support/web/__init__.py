"""Routes: ``routes`` for the workbench, ``queue`` for the people who answer, ``widget`` for customers on other sites."""
