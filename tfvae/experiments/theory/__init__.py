"""The theory of Rezende and Viola (2018) for a free encoder and decoder, on toy data in float64.

Fixed points, partitions, phase transitions, kernel PCA and energy levels, each with a recipe that draws it; the page
of all is `theory_page`. It may import plots and distributions.
"""
