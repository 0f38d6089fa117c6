"""Drives the stand-in with PyGithub, a client written against the real GitHub.

Usage: pygithub.py API_URL TOKEN APP_ID INSTALLATION KEY_FILE. The token is acme's; there is a pull request 1 in
acme/shop from the branch `feature`, whose head was pushed twice.
"""

import sys

from github import Auth, Github, GithubException, GithubIntegration

api, token, app_id, installation, key_file = sys.argv[1:]


def refused(status, call, words):
    """The call must fail with a status and these words."""
    try:
        call()
    except GithubException as error:
        assert error.status == status, (error.status, error.data)
        assert words in str(error.data), error.data
        return error
    raise AssertionError(f"not refused with {status}: {words}")


# Retries are off, so that the test sees each rejection.
client = Github(
    auth=Auth.Token(token), base_url=api, retry=None, seconds_between_requests=0, seconds_between_writes=0
)
assert client.get_user().login == "acme"
repo = client.get_repo("acme/shop")
assert repo.default_branch == "main" and repo.id > 2**29
assert client.get_repo(repo.id).full_name == "acme/shop"

# Pull requests.
pull = repo.get_pull(1)
assert pull.state == "open" and not pull.draft and pull.mergeable is None
pull = repo.get_pull(1)
assert pull.mergeable is True and pull.mergeable_state == "clean"
assert pull.head.repo.id == repo.id and pull.head.ref == "feature"
assert [one.number for one in repo.get_pulls(state="open", head="acme:feature")] == [1]
assert list(repo.get_pulls(state="closed")) == []
assert pull.commits == 2 and len(list(pull.get_commits())) == 2
assert {one.filename: one.status for one in pull.get_files()} == {"one.txt": "added", "two.txt": "added"}
pull.add_to_labels("preview")
assert [label.name for label in pull.get_labels()] == ["preview"]
pull.remove_from_labels("preview")
assert list(pull.get_labels()) == []
refused(404, lambda: repo.get_pull(2), "Not Found")
refused(422, lambda: repo.create_pull(base="main", head="feature", title="Again"), "A pull request already exists")

# Deployments and their statuses.
sha = pull.head.sha
made = []
for number in range(35):
    made.append(
        repo.create_deployment(
            ref=sha,
            environment=f"preview/pr-{number}",
            auto_merge=False,
            required_contexts=[],
            transient_environment=True,
            production_environment=False,
            payload={"matinee": {"version": 1, "number": number}},
            description="A preview",
        )
    )
assert made[0].sha == sha and made[0].transient_environment and not made[0].production_environment
assert made[0].payload == {"matinee": {"version": 1, "number": 0}}
assert made[0].creator.login == "acme" and made[0].created_at.tzinfo is not None
every = repo.get_deployments()
assert every.totalCount == 35
assert [one.id for one in every] == [one.id for one in reversed(made)], "newest first, over two pages"
assert [one.id for one in repo.get_deployments(environment="PREVIEW/pr-7")] == [made[7].id]
assert repo.get_deployments(sha=sha).totalCount == 35
one = repo.get_deployment(made[0].id)
for state in ("queued", "in_progress", "success"):
    status = one.create_status(
        state,
        description="x" * 140,
        environment_url="http://pr-0.example.test",
        target_url="http://log.example.test",
    )
assert status.state == "success" and status.environment_url == "http://pr-0.example.test"
assert [status.state for status in one.get_statuses()] == ["success", "in_progress", "queued"]
assert one.get_status(status.id).description == "x" * 140
refused(422, lambda: one.create_status("success", description="x" * 141), "description is too long")
refused(422, lambda: one.create_status("ready"), "state is not included in the list")
refused(422, lambda: repo.create_deployment(ref="nowhere"), "No ref found for: nowhere")
conflict = refused(
    409, lambda: repo.create_deployment(ref="main", required_contexts=["ci"]), "Commit status checks failed for main"
)
assert conflict.data["errors"][0]["field"] == "required_contexts"
assert repo.get_environment("preview/pr-0").name == "preview/pr-0"
assert repo.get_environments().totalCount == 35
repo.delete_environment("preview/pr-0")
refused(404, lambda: repo.get_environment("preview/pr-0"), "Not Found")

# Comments and reactions.
comment = pull.create_issue_comment("<!-- matinee -->\nA preview is on its way")
assert comment.user.login == "acme"
comment.edit("<!-- matinee -->\nReady ✅")
assert [one.body for one in pull.get_issue_comments()] == ["<!-- matinee -->\nReady ✅"]
assert comment.create_reaction("eyes").content == "eyes"
assert [one.content for one in comment.get_reactions()] == ["eyes"]
refused(422, lambda: pull.create_issue_comment("x" * 65537), "Body is too long (maximum is 65536 characters)")
comment.delete()
assert pull.get_issue_comments().totalCount == 0

# Commits, statuses, contents, branches.
commit = repo.get_commit(sha)
commit.create_status("success", context="ci", description="fine")
assert commit.get_combined_status().state == "success"
refused(422, lambda: commit.create_status("fine"), "state is not included in the list")
assert repo.get_contents("one.txt", ref="feature").decoded_content == b"one\n"
refused(404, lambda: repo.get_contents("one.txt"), "Not Found")
assert [one.name for one in repo.get_branches()] == ["feature", "main"]
refused(404, lambda: repo.get_branch("nowhere"), "Branch not found")
assert repo.compare("main", "feature").ahead_by == 2
assert repo.get_collaborator_permission("acme") == "admin"
refused(403, lambda: repo.create_check_run("a", sha), "You must authenticate via a GitHub App")

# Authentication as an App.
with open(key_file, encoding="utf-8") as file:
    key = file.read()
integration = GithubIntegration(auth=Auth.AppAuth(int(app_id), key), base_url=api)
assert integration.get_app().slug == "matinee"
assert integration.get_repo_installation("acme", "shop").id == int(installation)
bot = integration.get_github_for_installation(int(installation))
theirs = bot.get_repo("acme/shop")
assert theirs.create_deployment(ref="main", required_contexts=[]).creator.login == "matinee[bot]"
run = theirs.create_check_run("build", sha, status="in_progress")
run.edit(conclusion="success")
assert [one.conclusion for one in theirs.get_commit(sha).get_check_runs()] == ["success"]
refused(403, lambda: theirs.delete_environment("production"), "Resource not accessible by integration")
stranger = Github(auth=Auth.Token("ghp_wrong"), base_url=api, retry=None)
refused(401, lambda: stranger.get_repo("acme/shop"), "Bad credentials")

# Closing, reopening and merging the pull request.
pull.edit(state="closed")
assert repo.get_pull(1).state == "closed"
pull.edit(state="open")
assert pull.merge().merged
assert repo.get_pull(1).merged
refused(405, pull.merge, "Pull Request is not mergeable")
assert client.get_rate_limit().rate.remaining < 5000
print("PyGithub is content")
