"""Constant Contact's V3 API: requests, answers, errors, sign-in. Knows nothing of the store or of Streamlit."""
