"""Changes to a repository: ``blocks`` what a model may write, and whether it can be applied · ``propose`` asking for one ·
``kept`` the proposals, applied and undone with a person's approval · ``testing`` the repository's tests, in the sandbox."""
