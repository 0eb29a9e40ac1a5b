"""Completion in the three shells, with the scripts the binary prints."""
import os
import pathlib
import shutil
import subprocess

import pytest

ENVOI = pathlib.Path(os.environ.get("ENVOI", "./envoi")).resolve()


@pytest.fixture
def run(tmp_path):
    (tmp_path / ".envoirc").write_text("account work\nhost w.example\naccount default : work\n")
    (tmp_path / "other.rc").write_text("account spare\nhost s.example\n")
    (tmp_path / "letter.txt").write_text("")

    def run(shell, *argv):
        if not shutil.which(shell):
            pytest.skip(f"{shell} is not installed")
        script = tmp_path / "script"
        script.write_bytes(subprocess.run([ENVOI, "completions", shell], check=True, capture_output=True).stdout)
        env = {"HOME": str(tmp_path), "PATH": f"{ENVOI.parent}:{os.environ['PATH']}", "TERM": "dumb"}
        done = subprocess.run([shell, *argv, script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout

    return run


BASH = """source "$0"; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _envoi 2>/dev/null; printf '%%s\\n' "${COMPREPLY[@]}" """


@pytest.mark.parametrize("words, expected, absent", [
    ("envoi --tl", {"--tls=", "--tls-starttls="}, {"--host=", "--tls-nostarttls="}),
    ("envoi con", {"config"}, {"completions"}),
    ("envoi config --", {"--check", "--accounts", "--host="}, {"--read-recipients"}),
    ("envoi --protocol = ''", {"smtp", "lmtp"}, {"on"}),
    ("envoi --tls = o", {"on", "off"}, {"auto"}),
    ("envoi -a ''", {"work", "default"}, {"config"}),
    ("envoi -X let", {"letter.txt"}, {"work"}),
    ("envoi --account = w", {"work"}, {"default"}),
    ("envoi -C other.rc -a ''", {"spare"}, {"work"}),
    ("envoi --file = '~/other.rc' --account = ''", {"spare"}, {"work"}),
    ("envoi --file = oth", {"other.rc"}, {"letter.txt"}),
    ("envoi --auth = scram-sha-2", {"scram-sha-256", "scram-sha-256-plus"}, {"scram-sha-1"}),
    ("envoi --syslog = LOG_M", {"LOG_MAIL"}, {"LOG_USER"}),
    ("envoi --tls-trust-file = s", {"system"}, {"letter.txt"}),
    ("envoi --tls-trust-file = l", {"letter.txt"}, {"system"}),
    ("envoi -R h", {"headers", "hdrs"}, {"full"}),
    ("envoi --dsn-notify = f", {"failure"}, {"delay"}),
    ("envoi --password", {"--passwordeval="}, {"--password="}),
])
def test_bash(run, words, expected, absent):
    found = set(run("bash", "--norc", "-c", BASH % words).split())
    assert expected <= found and not absent & found, found


@pytest.mark.parametrize("line, expected, absent", [
    ("envoi --tl", {"--tls", "--tls-starttls"}, {"--host"}),
    ("envoi con", {"config"}, set()),
    ("envoi config --ch", {"--check"}, {"--read-recipients"}),
    ("envoi --protocol ", {"smtp", "lmtp"}, set()),
    ("envoi -a ", {"work", "default"}, set()),
    ("envoi --logfile let", {"letter.txt"}, set()),
    ("envoi -C other.rc -a ", {"spare"}, {"work"}),
    ("envoi --file=~/other.rc --account=", {"--account=spare"}, {"--account=work"}),
    ("envoi --auth=scram-sha-2", {"--auth=scram-sha-256"}, {"--auth=scram-sha-1"}),
    ("envoi --syslog=LOG_M", {"--syslog=LOG_MAIL"}, {"--syslog=LOG_USER"}),
])
def test_fish(run, line, expected, absent):
    found = {row.split("\t")[0] for row in run("fish", "--no-config", "-c", f"source $argv[1]; complete -C '{line}'").splitlines()}
    assert expected <= found and not absent & found, found


ZSH = r"""
zmodload zsh/zpty
script=${1:-$0}
fpath=(${script:h}/functions $fpath)
mkdir -p ${script:h}/functions; cp $script ${script:h}/functions/_envoi
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=(${script:h}/functions \$fpath); autoload -Uz compinit; compinit -D -u; bindkey '^I' complete-word; zstyle ':completion:*' list-colors; unsetopt beep zle_bracketed_paste; LISTMAX=0; echo READ''Y"
zpty -r -m shell out '*READY*'
zpty -w -n shell $'%s\t'
out=
zpty -r -m shell out '*%s*' && print -r -- FOUND
zpty -d shell
"""


@pytest.mark.parametrize("line, appears", [
    ("envoi config --acco", "unts"), ("envoi --rea", "read-envelope-from"), ("envoi -a w", "ork"), ("envoi -C other.rc -a sp", "are"),
    ("envoi --file=other.rc --account=sp", "are"), ("envoi --auth=scram-sha-256-p", "lus"), ("envoi --logfile=lett", "er.txt"),
    ("envoi --syslog=LOG_MA", "IL"),
])
def test_zsh(run, line, appears):
    assert "FOUND" in run("zsh", "-f", "-c", ZSH % (line, appears))


def test_unknown_shell():
    done = subprocess.run([ENVOI, "completions", "csh"], capture_output=True, text=True)
    assert done.returncode == 64 and "unknown shell 'csh'" in done.stderr
