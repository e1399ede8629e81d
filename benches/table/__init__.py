"""The table of `docs/performance.md`: what requests cost Portcullis beside what they cost other programs. Run it by
`benches/run`.
"""
