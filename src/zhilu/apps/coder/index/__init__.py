"""How a repository is read: ``walk`` its files · ``python`` and ``trees`` symbols and calls · ``units`` pieces to search ·
``build`` the index, file by file · ``store`` where it is kept · ``terms`` words of code · ``find`` searching it."""
