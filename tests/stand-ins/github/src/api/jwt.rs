//! Verification of the JWT with which a GitHub App authenticates.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use axum::http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use crate::api::call::Problem;
use crate::state::apps::App;
use crate::state::{State, now};

/// Longest time until a JWT expires, in seconds.
const MAX_LIFE: i64 = 600;

#[derive(Deserialize)]
struct Claims {
    iss: Option<Value>,
    iat: Option<Value>,
    exp: Option<Value>,
}

/// Returns whether a token looks like a JWT.
pub(crate) fn looks_like_one(token: &str) -> bool {
    token.starts_with("ey") && token.matches('.').count() == 2
}

/// Verifies a JWT. Returns its App.
pub(crate) fn verify(state: &State, token: &str) -> Result<u64, Problem> {
    let claims = decode(token, None)?;
    let iss = match &claims.iss {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(refuse("'Issuer' claim ('iss') must be an Integer")),
    };
    let app =
        find(state, &iss).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "Integration not found"))?;
    decode(token, Some(app))?;
    check_times(&claims)?;
    Ok(app.id)
}

/// The problem that endpoints for Apps answer to anything but a JWT.
pub(crate) fn undecodable() -> Problem {
    refuse("A JSON web token could not be decoded")
}

fn refuse(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, message)
}

fn find<'a>(state: &'a State, iss: &str) -> Option<&'a App> {
    state.apps.values().find(|app| app.id.to_string() == iss || app.client_id == iss)
}

/// Decodes the claims, and checks the signature when the App is known.
fn decode(token: &str, app: Option<&App>) -> Result<Claims, Problem> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = match app {
        Some(app) => {
            let key = DecodingKey::from_rsa_der(&app.public_key);
            jsonwebtoken::decode::<Claims>(token, &key, &validation)
        }
        None => jsonwebtoken::dangerous::insecure_decode::<Claims>(token),
    };
    decoded.map(|data| data.claims).map_err(|_| undecodable())
}

fn check_times(claims: &Claims) -> Result<(), Problem> {
    let moment = now().timestamp();
    let number = |claim: &Option<Value>| claim.as_ref().and_then(Value::as_i64);
    match number(&claims.iat) {
        Some(iat) if iat <= moment => {}
        _ => {
            return Err(refuse(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
    }
    match number(&claims.exp) {
        Some(exp) if exp <= moment => Err(refuse(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
             assertion expires",
        )),
        Some(exp) if exp > moment + MAX_LIFE => {
            Err(refuse("'Expiration time' claim ('exp') is too far in the future"))
        }
        Some(_) => Ok(()),
        None => Err(refuse(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
             assertion expires",
        )),
    }
}
