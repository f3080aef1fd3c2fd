"""Training: recipes, the training loop, and all that one training needs."""
