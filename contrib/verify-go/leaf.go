package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"
)

var (
	publicTypes    = set("genesis", "enrol", "anchor", "freeze")
	secretTypes    = set("gate", "batch", "refine", "result", "release", "lookup.grant", "lookup.minute", "destruction")
	publicFamilies = set("key", "agreement", "epoch", "admin")
	secretFamilies = set("job", "rights", "incident")

	secondWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	visible    = regexp.MustCompile(`^[!-~]{1,255}$`)
	timeForm   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`)
)

func set(names ...string) map[string]bool {
	made := map[string]bool{}
	for _, name := range names {
		made[name] = true
	}
	return made
}

// leaf is one entry of the log.
type leaf struct {
	kind       string
	seconds    int64
	lastRef    int64  // -1 without references
	commitment []byte // nil of a public leaf
}

func parseLeaf(entry []byte) (*leaf, error) {
	if len(entry) > 65535 {
		return nil, errors.New("an entry of more than 65,535 bytes")
	}
	value, err := readJSON(entry)
	if err != nil {
		return nil, err
	}
	fields, _ := value.(map[string]any)
	kind, _ := fields["type"].(string)
	family, word, _ := strings.Cut(kind, ".")
	two := secondWord.MatchString(word)
	secret := secretTypes[kind] || secretFamilies[family] && two
	if !secret && !publicTypes[kind] && !(publicFamilies[family] && two) {
		return nil, errors.New("an entry of unknown type")
	}
	last := "body"
	if secret {
		last = "commitment"
	}
	if !hasExactly(fields, "v", "type", "time", "actor", "agreement", "ref", last) {
		return nil, errors.New("an entry with other members than its type has")
	}
	made := &leaf{kind: kind, lastRef: -1}
	if fields["v"] != json.Number("1") {
		return nil, errors.New("an entry of unknown version")
	}
	if secret {
		if made.commitment, err = readHash(fields["commitment"]); err != nil {
			return nil, err
		}
	} else if _, ok := fields["body"].(map[string]any); !ok {
		return nil, errors.New("a body that is no object")
	}
	text, _ := fields["time"].(string)
	moment, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil || !timeForm.MatchString(text) || moment.Year() < 1 {
		return nil, errors.New("a time that is not in UTC and whole seconds, or does not exist")
	}
	made.seconds = moment.Unix()
	agreement, named := fields["agreement"].(string)
	actor, _ := fields["actor"].(string)
	if !visible.MatchString(actor) || (fields["agreement"] != nil && (!named || !visible.MatchString(agreement))) {
		return nil, errors.New("an actor or agreement that is no name")
	}
	refs, ok := fields["ref"].([]any)
	if !ok {
		return nil, errors.New("references that are no list")
	}
	for _, ref := range refs {
		number, _ := ref.(json.Number)
		index, err := decimal(number.String())
		if err != nil || index >= 1<<53 || index <= made.lastRef {
			return nil, errors.New("references that are no ascending leaf indexes")
		}
		made.lastRef = index
	}
	return made, nil
}

func readHash(value any) ([]byte, error) {
	text, _ := value.(string)
	data, err := unbase64(text)
	if err != nil || len(data) != 32 {
		return nil, errors.New("not the base64 of 32 bytes")
	}
	return data, nil
}
