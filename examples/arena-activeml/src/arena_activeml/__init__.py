"""Query strategies of scikit-activeml as attacks of arena."""
