"""The search over scores, rules and fractions. The door to Optuna."""
