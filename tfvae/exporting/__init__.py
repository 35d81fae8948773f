"""SavedModels and other formats: signatures, cards, the inspection before a foreign model is loaded.

It may import training and what is below it.
"""
