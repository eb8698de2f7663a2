"""From a captured frame to code that runs: entries, the dispatch among them, and what compiles their graphs."""
