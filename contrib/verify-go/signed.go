package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	logEd25519     = 0x01
	cosignEd25519  = 0x04
	cosignMLDSA44  = 0x06
	maxSignatures  = 64
	maxNoteBytes   = 1 << 20
	maxVkeyChars   = 4096
	timestampBytes = 8
)

var keyBytes = map[byte]int{logEd25519: 32, cosignEd25519: 32, cosignMLDSA44: 1312}
var keyName = regexp.MustCompile(`^[!-*,-~]{1,255}$`)

// A key verifies the lines of one log or witness; it is a note.Verifier.
type key struct {
	name   string
	kind   byte
	public []byte
	hash   uint32
	plain  note.Verifier   // x/mod's own, for plain Ed25519
	times  map[*key]uint64 // where a verified cosignature leaves its time
	head   *checkpoint     // what is being verified
}

func parseKey(vkey string) (*key, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(vkey) > maxVkeyChars || len(parts) != 3 || !keyName.MatchString(parts[0]) {
		return nil, errors.New("not a verifier key")
	}
	data, err := unbase64(parts[2])
	if err != nil || len(data) == 0 || keyBytes[data[0]] == 0 || len(data)-1 != keyBytes[data[0]] {
		return nil, errors.New("not a verifier key")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), data...))
	if fmt.Sprintf("%x", sum[:4]) != parts[1] {
		return nil, errors.New("a key id that is not of its key")
	}
	made := &key{name: parts[0], kind: data[0], public: data[1:], hash: binary.BigEndian.Uint32(sum[:4])}
	if made.kind == logEd25519 {
		if made.plain, err = note.NewVerifier(vkey); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (k *key) Name() string    { return k.name }
func (k *key) KeyHash() uint32 { return k.hash }

// Verify checks what stands in a signature line after the key id.
func (k *key) Verify(text, signature []byte) bool {
	if k.kind == logEd25519 {
		return k.plain.Verify(text, signature)
	}
	if len(signature) < timestampBytes {
		return false
	}
	stamp, signature := signature[:timestampBytes], signature[timestampBytes:]
	time := binary.BigEndian.Uint64(stamp)
	if time >= 1<<63 {
		return false
	}
	if k.kind == cosignEd25519 {
		message := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), text...)
		if len(signature) != ed25519.SignatureSize || !ed25519.Verify(k.public, message, signature) {
			return false
		}
	} else {
		var message bytes.Buffer
		message.WriteString("subtree/v1\n\x00")
		writeVector(&message, k.name)
		message.Write(stamp)
		writeVector(&message, k.head.origin)
		binary.Write(&message, binary.BigEndian, [2]uint64{0, uint64(k.head.size)})
		message.Write(k.head.root)
		public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), k.public)
		if err != nil || mldsa.Verify(public, message.Bytes(), signature, nil) != nil {
			return false
		}
	}
	k.times[k] = time
	return true
}

func writeVector(out *bytes.Buffer, text string) {
	out.WriteByte(byte(len(text)))
	out.WriteString(text)
}

// A checkpoint is a note whose text is origin, size and root, and nothing else.
type checkpoint struct {
	origin string
	size   int64
	root   []byte
	data   []byte
	lines  []string // name and key id of each signature
}

func parseCheckpoint(data []byte) (*checkpoint, error) {
	text, lines, err := parseNote(data)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(text, "\n")
	if len(fields) != 4 || fields[3] != "" || !keyName.MatchString(fields[0]) {
		return nil, errors.New("not the three lines of a checkpoint")
	}
	size, err := decimal(fields[1])
	if err != nil {
		return nil, err
	}
	root, err := unbase64(fields[2])
	if err != nil {
		return nil, err
	}
	empty := sha256.Sum256(nil)
	if len(root) != sha256.Size || size == 0 && !bytes.Equal(root, empty[:]) {
		return nil, errors.New("a root that no tree of this size has")
	}
	return &checkpoint{fields[0], size, root, data, lines}, nil
}

// parseNote is stricter than note.Open, which verifies: one spelling of every line, no key twice.
func parseNote(data []byte) (string, []string, error) {
	malformed := errors.New("a note that is not in its one form")
	if len(data) > maxNoteBytes || !utf8.Valid(data) {
		return "", nil, malformed
	}
	for _, c := range data {
		if c < 0x20 && c != '\n' {
			return "", nil, malformed
		}
	}
	whole := string(data)
	split := strings.LastIndex(whole, "\n\n")
	if split < 0 || !strings.HasSuffix(whole[split+2:], "\n") {
		return "", nil, malformed
	}
	tail := strings.Split(strings.TrimSuffix(whole[split+2:], "\n"), "\n")
	if len(tail) > maxSignatures {
		return "", nil, malformed
	}
	seen := map[string]bool{}
	var lines []string
	for _, line := range tail {
		rest, dash := strings.CutPrefix(line, "\u2014 ")
		name, encoded, space := strings.Cut(rest, " ")
		signature, err := unbase64(encoded)
		if !dash || !space || !keyName.MatchString(name) || err != nil || len(signature) <= 4 {
			return "", nil, malformed
		}
		id := name + " " + string(signature[:4])
		if seen[id] {
			return "", nil, malformed
		}
		seen[id] = true
		lines = append(lines, id)
	}
	return whole[:split+1], lines, nil
}

// signedBy returns which keys have signed, each with the time of its cosignature.
func (c *checkpoint) signedBy(keys []*key, strict bool) (map[*key]uint64, error) {
	times := map[*key]uint64{}
	known := map[string]*key{}
	var verifiers []note.Verifier
	for _, k := range keys {
		k.times, k.head = times, c
		var id [4]byte
		binary.BigEndian.PutUint32(id[:], k.hash)
		known[k.name+" "+string(id[:])] = k
		verifiers = append(verifiers, k)
	}
	for _, line := range c.lines {
		if known[line] == nil && strict {
			return nil, errors.New("a signature of an unknown key")
		}
	}
	opened, err := note.Open(c.data, note.VerifierList(verifiers...))
	if err != nil {
		return nil, err
	}
	signed := map[*key]uint64{}
	for _, signature := range opened.Sigs {
		var id [4]byte
		binary.BigEndian.PutUint32(id[:], signature.Hash)
		k := known[signature.Name+" "+string(id[:])]
		signed[k] = times[k]
	}
	return signed, nil
}
