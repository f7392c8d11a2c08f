"""What pages share: the shell, a page's beginning, how things are shown. The only room that knows Streamlit."""
