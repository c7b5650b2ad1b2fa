"""Knowledge bases in other frameworks. Importing this package imports none of them."""
