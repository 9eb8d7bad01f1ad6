"""Why a figure is wrong: the catalogue of mistakes, and the search for those that give the printed digits."""
