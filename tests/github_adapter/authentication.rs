//! Who Matinee is to GitHub.
