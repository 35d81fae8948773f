"""Recipes: each table and figure of the source documents by one command, ``tfvae experiment run NAME``.

A recipe is a module with ``run(lab)``, which ends in ``lab.write_page``; `catalogue` lists recipes, sources and claims.
It may import everything below it; nothing but the command line imports it.
"""
