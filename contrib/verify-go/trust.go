package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var threshold = regexp.MustCompile(`^[1-9][0-9]{0,3}$`)

type group struct {
	needed  int
	members []string
}

// trust is a trust file (C2SP tlog-policy).
type trust struct {
	logs      []*key
	witnesses map[string]*key
	groups    map[string]group
	quorum    string
	used      map[string]bool
	publics   map[string]bool
}

func parseTrust(data []byte) (*trust, error) {
	t := &trust{
		witnesses: map[string]*key{}, groups: map[string]group{},
		used: map[string]bool{"none": true}, publics: map[string]bool{},
	}
	lines := strings.Split(string(data), "\n")
	if !utf8.Valid(data) || len(data) > maxNoteBytes || lines[len(lines)-1] != "" || len(lines) > 1001 {
		return nil, errors.New("it is not UTF-8, too long, or its last line has no end")
	}
	for i, line := range lines[:len(lines)-1] {
		if err := t.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if t.quorum == "" {
		return nil, errors.New("there is no quorum line")
	}
	return t, nil
}

func (t *trust) line(line string) error {
	for _, c := range line {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return errors.New("a control character")
		}
	}
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return nil
	}
	switch n := len(words); {
	case words[0] == "log" && (n == 2 || n == 3):
		k, err := t.key(words[1], logEd25519)
		t.logs = append(t.logs, k)
		return err
	case words[0] == "witness" && (n == 3 || n == 4):
		k, err := t.key(words[2], cosignEd25519)
		if err == nil && t.known(words[1]) {
			err = errors.New("a name defined twice")
		}
		t.witnesses[words[1]] = k
		return err
	case words[0] == "group" && n >= 4:
		return t.group(words[1], words[2], words[3:])
	case words[0] == "quorum" && n == 2 && t.quorum == "" && t.known(words[1]):
		t.quorum = words[1]
		return nil
	}
	return errors.New("not a log, witness, group or quorum line, or a second quorum")
}

func (t *trust) known(name string) bool {
	_, isGroup := t.groups[name]
	return name == "none" || isGroup || t.witnesses[name] != nil
}

func (t *trust) key(vkey string, plain byte) (*key, error) {
	k, err := parseKey(vkey)
	if err != nil {
		return nil, err
	}
	if k.kind != plain && k.kind != cosignMLDSA44 || t.publics[string(k.public)] {
		return nil, errors.New("a key of another type, or listed twice")
	}
	t.publics[string(k.public)] = true
	return k, nil
}

func (t *trust) group(name, needed string, members []string) error {
	g := group{1, members}
	switch {
	case needed == "all":
		g.needed = len(members)
	case threshold.MatchString(needed):
		g.needed, _ = strconv.Atoi(needed)
	case needed != "any":
		return errors.New("not a threshold")
	}
	if g.needed > len(members) || t.known(name) {
		return errors.New("a threshold too large, or a name defined twice")
	}
	for _, member := range members {
		if !t.known(member) || t.used[member] {
			return errors.New("a member that is not defined, listed twice, or none")
		}
		t.used[member] = true
	}
	t.groups[name] = g
	return nil
}

// met tells whether these keys make up the witness, the group or none.
func (t *trust) met(name string, signed map[*key]uint64) bool {
	if g, ok := t.groups[name]; ok {
		count := 0
		for _, member := range g.members {
			if t.met(member, signed) {
				count++
			}
		}
		return count >= g.needed
	}
	_, ok := signed[t.witnesses[name]]
	return name == "none" || ok
}

func (t *trust) logKeys(origin string) (keys []*key) {
	for _, k := range t.logs {
		if k.name == origin {
			keys = append(keys, k)
		}
	}
	return keys
}

func (t *trust) witnessKeys() (keys []*key) {
	for _, k := range t.witnesses {
		keys = append(keys, k)
	}
	return keys
}

// times returns the first and the last cosignature of a witness; zero where there is none.
func (t *trust) times(signed map[*key]uint64) (first, last int64) {
	for _, k := range t.witnesses {
		if time := int64(signed[k]); time != 0 {
			if first == 0 || time < first {
				first = time
			}
			last = max(last, time)
		}
	}
	return first, last
}
